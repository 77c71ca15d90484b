"""What looks: curves, plots, reports, and the command line that ties everything together."""
