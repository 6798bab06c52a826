"""The words for jobs that the command line and the page share, made of jobs as the API returns them."""
