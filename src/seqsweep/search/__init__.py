"""Chooses what to try: the space, the study, the workers and their slots. No TensorFlow here."""
