"""The page: jobs for people, rendered on the server and kept up to date by a few lines of JavaScript."""
