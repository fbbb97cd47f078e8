"""The retention gate: was every old structure kept?"""
