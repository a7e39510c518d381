"""Faults that anybody's script can be given from outside: each file is imported at the script's first line."""
