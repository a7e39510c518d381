"""What a watch has written down."""

import steadygrad as sg


def recorded(watch):
    return sg.open_run(watch.run).main


def actions(watch, name):
    return [action.step for action in recorded(watch).actions() if action.action == name]
