"""``python -m smmap_typed``: starts the command line, as the command ``smmap-typed`` does."""

from smmap_typed.cli.app import run

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv``; ends with SystemExit."""
    run()


if __name__ == "__main__":
    main()
