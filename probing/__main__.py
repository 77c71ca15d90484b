"""`python -m probing`: the command line, where no `probe` is on the path.

The one place in which this package knows of `analysis`, which uses it.
"""

if __name__ == "__main__":
    from analysis.commands.app import main

    main()
