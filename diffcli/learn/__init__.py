"""The graded path: tasks with exercises, a workspace of plain Python files, and graders that name mistakes."""
