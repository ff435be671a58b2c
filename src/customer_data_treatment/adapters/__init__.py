"""What touches the world outside: files, children, keys, jobs, remotes."""
