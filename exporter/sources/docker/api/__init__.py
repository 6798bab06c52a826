"""Adapter for the Docker Engine API, over the docker SDK.

The SDK imports paramiko if that is installed, which takes 17 MB of memory. Here it is imported when the first
engine is reached over ssh (``ssh.enable_sdk_ssh``).
"""

from exporter.unused_imports import not_installed

with not_installed("paramiko"):
    import docker as docker
