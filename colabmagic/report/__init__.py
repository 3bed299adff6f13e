"""Plain results of every feature, and how they are shown; standard library only."""
