"""Print docs/cli.md from the commands themselves: python docs/make_cli.py > docs/cli.md"""

import click

from exact2vec.cli import main


def pages() -> str:
    """Each command's --help, 100 columns wide."""
    parts = ["# The command line\n\nMade by `python docs/make_cli.py`; a test compares it.\n"]
    parent = click.Context(main, info_name="exact2vec", **main.context_settings)
    for name in main.list_commands(parent):
        command = main.commands[name]
        context = click.Context(
            command, parent=parent, info_name=name, max_content_width=100, terminal_width=100
        )
        parts.append(f"## {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(pages(), end="")
