"""Adapter for the Docker Engine API, over the docker SDK.

The SDK imports paramiko if that is installed, which takes 17 MB of memory. Here it is imported when the first
engine is reached over ssh (``ssh.enable_sdk_ssh``). Requests, with which the SDK connects, imports a library
that guesses the encoding of texts; those that are read here are UTF-8.
"""

import warnings

from exporter.unused_imports import not_installed

with (
    not_installed("paramiko"),
    not_installed("chardet"),
    not_installed("charset_normalizer"),
    warnings.catch_warnings(),
):
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
    import docker as docker
