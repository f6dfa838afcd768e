# Write a file as a C array: cmake -DIN=page.css -DOUT=page_css.c -DNAME=ek_page_css -DHEADER=x.h -P embed.cmake
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n${hex}\n};\n"
                  "const size_t ${NAME}_size = sizeof ${NAME};\n")
