"""Reports: a run or several as one page."""
