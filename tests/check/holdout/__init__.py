"""Trainings that the check's rules were never fitted to: written blind, verified by training, then checked once."""
