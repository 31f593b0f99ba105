"""Training and processing jobs as real processes under the container contract."""
