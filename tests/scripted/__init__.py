"""A scripted engine: enough of the Docker API, on a unix socket, to play what a real engine once said."""
