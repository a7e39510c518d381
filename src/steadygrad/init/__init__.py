"""Initial weights that neither amplify nor shrink a signal: layer-sequential, recurrent, residual, automatic."""
