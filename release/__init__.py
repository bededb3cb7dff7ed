"""Building the packages of a release, and checking what is in them."""
