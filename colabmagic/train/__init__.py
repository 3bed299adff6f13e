"""Run code written for the CPU on a device, and bring everything home.

Importing this package brings in no torch: its modules that need torch are imported
when a cell first trains.
"""
