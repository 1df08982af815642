# SPDX-License-Identifier: MIT
#
# Writes the file FROM as `const char NAME[]` into the C file TO.

file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${TO} "extern const char ${NAME}[];\n"
  "const char ${NAME}[] = {${bytes}0};\n")
