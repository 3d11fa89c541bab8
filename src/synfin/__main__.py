"""`python -m synfin` is the console script `synfin`."""

from synfin.cli.main import main

if __name__ == "__main__":
    main()
