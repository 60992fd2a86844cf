"""Set before TensorFlow is imported: its backend, and only its errors on the screen."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
