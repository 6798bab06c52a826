"""The real dstack with the exporter beside it; `make test-dstack` runs these tests, `make test` does not."""
