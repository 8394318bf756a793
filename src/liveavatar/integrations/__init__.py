"""The avatar in other people's frameworks for agents. Each module needs the framework's own extra."""
