"""What a command says, and how it is interrupted."""
