from pathlib import Path
class Cell: pass
COLUMNS=();EVENTS=();TABLE=();DOCUMENT=Path("x")
