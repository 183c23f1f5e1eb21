"""``python -m ncbounds`` is the ``ncbounds`` command."""

from ncbounds.cli.app import main

if __name__ == "__main__":
    main()
