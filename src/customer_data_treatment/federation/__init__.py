"""Pure rounds and strategies of a federation; they come with the federation."""
