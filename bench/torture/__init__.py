"""Kills, full disks and wrong clocks for an hour, on a real engine: is any exit lost or counted twice?"""
