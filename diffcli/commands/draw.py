"""diffcli draw"""
