"""The words of Switchboard as data: frozen dataclasses, enums and frame schemas.

Nothing here touches the world, and nothing here imports another package of ours.
"""
