"""What turns the repository into its site: pages from the lab, the textbook and the source, and their drawings."""
