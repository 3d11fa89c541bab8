"""`synfin watch`: a running host in the browser."""
