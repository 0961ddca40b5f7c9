"""Laws that are known whole: on the line, in the plane, in many dimensions, of pixels."""
