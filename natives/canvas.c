// SPDX-License-Identifier: MIT
//
// A picture made of character cells, with light in it. Each cell has 2 by 4
// braille dots in one colour, in front of a background that is lit in two
// halves. Places are in dots from the top left corner; colours are 0 to 1.
//
// A frame: clear, sky, then lights, dots, lines and text in the colour of the
// pen, then compose. canvas_next() then names only the cells that differ from
// what was last shown, so little is sent to the terminal.

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MOST = 400, ROWS_MOST = 150, BRAILLE = 0x2800 };
enum { UPPER_HALF = 0x2580, NOTICEABLE = 3 };

typedef struct Colour {
  float red, green, blue;
} Colour;

// What was drawn into a cell. A glyph hides the dots.
typedef struct Cell {
  unsigned glyph;
  unsigned char dots;
  int layer;
  Colour ink;
} Cell;

// What a cell looks like: a character, its colour and the one behind it.
typedef struct Look {
  unsigned glyph;
  int ink, paper;
} Look;

static int columns, rows;
static Cell cells[ROWS_MOST * COLUMNS_MOST];
static Look wanted[ROWS_MOST * COLUMNS_MOST];
static Look shown[ROWS_MOST * COLUMNS_MOST];
static Colour sky[2 * ROWS_MOST];
static Colour light[2 * ROWS_MOST * COLUMNS_MOST];
static Colour pen;
static int layer;

// ---------------------------------------------------------------------------
// The size and the pen
// ---------------------------------------------------------------------------

// Forgets what was shown, so that the next frame is sent whole.
void canvas_forget(void) {
  memset(shown, 0xff, sizeof shown);
}

// Returns whether the size changed. There is room for 400 by 150 cells.
bool canvas_resize(int width, int height) {
  if (width > COLUMNS_MOST) width = COLUMNS_MOST;
  if (height > ROWS_MOST) height = ROWS_MOST;
  if (width < 1) width = 1;
  if (height < 1) height = 1;
  if (width == columns && height == rows) return false;
  columns = width;
  rows = height;
  memset(light, 0, sizeof light);
  canvas_forget();
  return true;
}

int canvas_columns(void) {
  return columns;
}

int canvas_rows(void) {
  return rows;
}

// Whatever a script said, light stays a number, so it can fade again.
static float fade(float value, double afterglow) {
  return fminf(value * (float)afterglow, 50);
}

// Empties the cells. The light fades to `afterglow` of what it was.
void canvas_clear(double afterglow) {
  memset(cells, 0, sizeof *cells * (size_t)(rows * columns));
  layer = 0;
  for (int i = 0; i < 2 * rows * columns; i++) {
    light[i].red = fade(light[i].red, afterglow);
    light[i].green = fade(light[i].green, afterglow);
    light[i].blue = fade(light[i].blue, afterglow);
  }
}

static Colour colour_of(double red, double green, double blue) {
  bool sane = isfinite(red) && isfinite(green) && isfinite(blue);
  if (!sane) return (Colour){0};
  return (Colour){(float)red, (float)green, (float)blue};
}

// The colour of the background, for one of the 2 * rows half rows.
void canvas_sky(int half, double red, double green, double blue) {
  if (half < 0 || half >= 2 * rows) return;
  sky[half] = colour_of(red, green, blue);
}

void canvas_pen(double red, double green, double blue) {
  pen = colour_of(red, green, blue);
}

// From here on, what is drawn hides what was drawn before in the same cell.
void canvas_cover(void) {
  layer++;
}

// ---------------------------------------------------------------------------
// Drawing
// ---------------------------------------------------------------------------

static float brightness(Colour colour) {
  return colour.red + colour.green + colour.blue;
}

// A cell has one colour: the brightest of its layer.
void canvas_dot(double x, double y) {
  static const unsigned char bit[4][2] = {
      {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  if (!(x >= 0 && y >= 0 && x < 2 * columns && y < 4 * rows)) return;
  int column = (int)x, row = (int)y;
  Cell *cell = &cells[row / 4 * columns + column / 2];
  bool covers = cell->layer < layer;
  if (covers) cell->dots = 0;
  if (covers || !cell->dots || brightness(pen) > brightness(cell->ink))
    cell->ink = pen;
  cell->layer = layer;
  cell->dots |= bit[row % 4][column % 2];
}

void canvas_line(double x1, double y1, double x2, double y2) {
  double longer = fmax(fabs(x2 - x1), fabs(y2 - y1));
  int steps = (int)fmin(ceil(longer), 2.0 * COLUMNS_MOST);
  for (int i = 0; i <= steps; i++) {
    double part = steps ? (double)i / steps : 0;
    canvas_dot(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part);
  }
}

// A round light that shines on the background. Its halves of a cell are 2 by
// 2 dots. The falloff reaches 0 at the radius, without a visible edge.
void canvas_light(double x, double y, double radius) {
  double middle_x = x / 2 - 0.5, middle_y = y / 2 - 0.5, r = radius / 2;
  if (!(r > 0 && fabs(middle_x) < 2e3 && fabs(middle_y) < 2e3 && r < 2e3))
    return;
  int left = (int)fmax(0, ceil(middle_x - r));
  int right = (int)fmin(columns - 1, floor(middle_x + r));
  int top = (int)fmax(0, ceil(middle_y - r));
  int bottom = (int)fmin(2 * rows - 1, floor(middle_y + r));
  for (int row = top; row <= bottom; row++) {
    for (int column = left; column <= right; column++) {
      double dx = column - middle_x, dy = row - middle_y;
      double part = 1 - (dx * dx + dy * dy) / (r * r);
      if (part <= 0) continue;
      float strength = (float)(part * part * part);
      Colour *spot = &light[row * columns + column];
      spot->red += pen.red * strength;
      spot->green += pen.green * strength;
      spot->blue += pen.blue * strength;
    }
  }
}

// The next character of UTF-8 text, '?' for what is none.
static unsigned decode(const unsigned char **text) {
  const unsigned char *s = *text;
  int more = *s < 0x80 ? 0 : *s >> 5 == 6 ? 1 : *s >> 4 == 14 ? 2 : -1;
  unsigned code = more == 0 ? *s : more == 1 ? *s & 31u : *s & 15u;
  for (int i = 1; i <= more; i++) {
    if ((s[i] & 0xc0) != 0x80)
      more = -1;
    else
      code = code << 6 | (s[i] & 63u);
  }
  *text += more < 0 ? 1 : more + 1;
  return more < 0 || code < ' ' || code == 127 ? '?' : code;
}

// Writes into the cells of one row, and returns the column after the text.
// Cells count from 0.
int canvas_text(int column, int row, const char *text) {
  const unsigned char *rest = (const unsigned char *)text;
  for (; *rest; column++) {
    unsigned glyph = decode(&rest);
    if (column < 0 || column >= columns || row < 0 || row >= rows) continue;
    Cell *cell = &cells[row * columns + column];
    cell->glyph = glyph;
    cell->ink = pen;
  }
  return column;
}

// ---------------------------------------------------------------------------
// Showing
// ---------------------------------------------------------------------------

static Colour add(Colour a, Colour b, float weight) {
  return (Colour){a.red + b.red * weight, a.green + b.green * weight,
                  a.blue + b.blue * weight};
}

// Light has no upper end, a screen has: what is bright is compressed.
static int channel(float value) {
  float bright = value <= 0.5f ? value : 1 - 0.5f * expf(1 - 2 * value);
  return (int)(255 * fminf(fmaxf(bright, 0), 1) + 0.5f);
}

// As 0xRRGGBB.
static int pack(Colour colour) {
  return channel(colour.red) << 16 | channel(colour.green) << 8 |
         channel(colour.blue);
}

static Look look_of(int row, int column) {
  const Cell *cell = &cells[row * columns + column];
  Colour lit_above = light[2 * row * columns + column];
  Colour lit_below = light[(2 * row + 1) * columns + column];
  Colour above = add(sky[2 * row], lit_above, 1);
  Colour below = add(sky[2 * row + 1], lit_below, 1);
  Colour middle = add((Colour){0}, add(above, below, 1), 0.5f);
  if (cell->glyph) return (Look){cell->glyph, pack(cell->ink), pack(middle)};
  if (cell->dots) {
    Colour ink = add(cell->ink, middle, 1);
    return (Look){BRAILLE + cell->dots, pack(ink), pack(middle)};
  }
  if (pack(above) == pack(below)) return (Look){' ', 0, pack(below)};
  return (Look){UPPER_HALF, pack(above), pack(below)};
}

void canvas_compose(void) {
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++)
      wanted[row * columns + column] = look_of(row, column);
}

// Eyes see a difference the less, the brighter the colours are.
static bool alike(int one, int other) {
  for (int shift = 0; shift <= 16; shift += 8) {
    int a = one >> shift & 255, b = other >> shift & 255;
    if (abs(a - b) > NOTICEABLE + a / 12) return false;
  }
  return one >= 0 && other >= 0;
}

// The first cell after `cell` that does not look as it was last shown, or -1.
// The caller shows it. Start with -1.
int canvas_next(int cell) {
  for (int i = cell < 0 ? 0 : cell + 1; i < rows * columns; i++) {
    if (wanted[i].glyph == shown[i].glyph &&
        alike(wanted[i].ink, shown[i].ink) &&
        alike(wanted[i].paper, shown[i].paper))
      continue;
    shown[i] = wanted[i];
    return i;
  }
  return -1;
}

static const Look *look(int cell) {
  static const Look nothing = {' ', 0, 0};
  return cell >= 0 && cell < rows * columns ? &wanted[cell] : &nothing;
}

// The character of a cell in UTF-8, valid until the next call.
const char *canvas_glyph(int cell) {
  static char text[4];
  unsigned code = look(cell)->glyph;
  int length = 0;
  if (code < 0x80) {
    text[length++] = (char)code;
  } else {
    if (code < 0x800) {
      text[length++] = (char)(0xc0 | code >> 6);
    } else {
      text[length++] = (char)(0xe0 | code >> 12);
      text[length++] = (char)(0x80 | (code >> 6 & 63));
    }
    text[length++] = (char)(0x80 | (code & 63));
  }
  text[length] = '\0';
  return text;
}

// The colour of the character, 0xRRGGBB.
int canvas_ink(int cell) {
  return look(cell)->ink;
}

// The colour behind the character, 0xRRGGBB.
int canvas_paper(int cell) {
  return look(cell)->paper;
}
