"""The colours of charts, on the screen and on paper: Okabe and Ito's, which people who see fewer can tell apart."""

BLUE, GREEN, VERMILION, PURPLE, ORANGE = "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00"
GREY = "#8a939d"
