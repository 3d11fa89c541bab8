"""One trace -> sequence diagrams in the terminal and as SVG, and annotated captures. Nothing here decides anything."""
