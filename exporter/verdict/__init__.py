"""From a code and its evidence to a verdict, by the catalog of reasons. Pure."""
