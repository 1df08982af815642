// SPDX-License-Identifier: MIT
//
// The demo's meadow in a window of SDL2, edited while it runs: the scripts and
// the C files are the demo's own, but for screen.lua and the functions of
// terminal.c, whose place this host takes. Start it in Graft's folder, then
// edit scripts/palette.lua or natives/canvas.c. Closing the window, Escape or
// Ctrl-C ends it.

#include <SDL.h>
#include <graft.h>
#include <stdbool.h>
#include <stdio.h>

enum { DOT = 4, CELL_WIDTH = 2 * DOT, CELL_HEIGHT = 4 * DOT };
enum { FRAME_MS = 16, BRAILLE = 0x2800, UPPER_HALF = 0x2580 };

// --- The window ------------------------------------------------------------

// What built-in natives read: these have no context of their own.
static SDL_Window *window;

static int window_columns(void) {
  int width = 0;
  SDL_GetWindowSize(window, &width, NULL);
  return width / CELL_WIDTH;
}

static int window_rows(void) {
  int height = 0;
  SDL_GetWindowSize(window, NULL, &height);
  return height / CELL_HEIGHT;
}

static bool window_interactive(void) {
  return true;
}

static int window_colours(void) {
  return 16777216;
}

static double window_clock(void) {
  return (double)SDL_GetPerformanceCounter() /
         (double)SDL_GetPerformanceFrequency();
}

static void window_nothing(void) {
}

// What the demo's scripts ask of a terminal.
static GraftStatus add_terminal(GraftEngine *engine, GraftError *error) {
  static const struct {
    const char *name;
    GraftNative code;
    const char *signature;
  } natives[] = {
      {"terminal.interactive", (GraftNative)window_interactive, "bool(void)"},
      {"terminal.columns", (GraftNative)window_columns, "int(void)"},
      {"terminal.rows", (GraftNative)window_rows, "int(void)"},
      {"terminal.colours", (GraftNative)window_colours, "int(void)"},
      {"terminal.clock", (GraftNative)window_clock, "double(void)"},
      {"terminal.hush", window_nothing, "void(void)"},
      {"terminal.unhush", window_nothing, "void(void)"},
  };
  GraftStatus status = GRAFT_OK;
  for (size_t i = 0; i < sizeof natives / sizeof *natives; i++) {
    if (status < 0) break;
    status = graft_engine_register(engine, natives[i].name, natives[i].code,
                                   natives[i].signature, error);
  }
  return status;
}

// --- The game --------------------------------------------------------------

// Typed handles to natives/canvas.c, which reach its newest code.
typedef struct Canvas {
  GraftNative const *columns;
  GraftNative const *next;
  GraftNative const *glyph;
  GraftNative const *ink;
  GraftNative const *paper;
  GraftNative const *forget;
} Canvas;

typedef struct Game {
  GraftEngine *engine;
  GraftFn *update;
  GraftFn *title;
  Canvas canvas;
} Game;

typedef int IntOfInt(int cell);

static int ask(GraftNative const *handle, int cell) {
  return ((IntOfInt *)GRAFT_LOAD(handle))(cell);
}

static bool find_canvas(Game *self, GraftError *error) {
  Canvas *canvas = &self->canvas;
  const struct {
    GraftNative const **handle;
    const char *name;
    const char *signature;
  } natives[] = {
      {&canvas->columns, "canvas.columns", "int(void)"},
      {&canvas->next, "canvas.next", "int(int)"},
      {&canvas->glyph, "canvas.glyph", "const char *(int)"},
      {&canvas->ink, "canvas.ink", "int(int)"},
      {&canvas->paper, "canvas.paper", "int(int)"},
      {&canvas->forget, "canvas.forget", "void(void)"},
  };
  for (size_t i = 0; i < sizeof natives / sizeof *natives; i++) {
    GraftFn *fn = graft_engine_fn(self->engine, natives[i].name);
    *natives[i].handle = graft_fn_typed(fn, natives[i].signature, error);
    if (*natives[i].handle == NULL) return false;
  }
  return true;
}

// Standard error has a line for each change, as `engine` writes it.
static void on_event(void *context, const GraftEvent *event) {
  (void)context;
  if (event->kind == GRAFT_EVENT_MOVE || event->kind == GRAFT_EVENT_WATCH) {
    return;
  }
  char text[4096];
  graft_event_text(event, text, sizeof text);
  fprintf(stderr, "%s\n", text);
}

// What is not there keeps quiet: main.lua need not have a quit().
static void call(Game *self, const char *name) {
  GraftError error;
  GraftFn *fn = graft_engine_find(self->engine, name);
  if (fn != NULL && graft_fn_call(fn, &(GraftCall){0}, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
  }
}

// An error in one frame does not end the game: the next save may mend it.
static void call_update(Game *self, double dt) {
  GraftError error;
  GraftValue arg = {.type = GRAFT_NUMBER, .as.number = dt};
  GraftCall update = {.args = &arg, .arg_count = 1};
  GraftStatus status = graft_fn_call(self->update, &update, &error);
  if (status < 0 && status != GRAFT_EREVERTED) {
    fprintf(stderr, "%s\n", error.message);
  }
}

static void show_title(Game *self) {
  GraftValue result = {.type = GRAFT_NIL};
  GraftCall title = {.results = &result, .result_capacity = 1};
  if (graft_fn_call(self->title, &title, NULL) == GRAFT_OK &&
      result.type == GRAFT_STRING) {
    SDL_SetWindowTitle(window, result.as.string.text);
  }
}

// `require` finds screen.lua in the first folder, before the demo's own. C
// files that are watched are natives.
static GraftStatus start(Game *self, GraftError *error) {
  static const char *const watched[] = {"examples/sdl/scripts", "scripts",
                                        "natives/canvas.c", "natives/flock.c",
                                        "natives/wings.c"};
  GraftStatus status = add_terminal(self->engine, error);
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
    if (status < 0) return status;
    status = graft_engine_watch(self->engine, watched[i], error);
  }
  if (status < 0) return status;
  if (!find_canvas(self, error)) return error->status;
  return graft_engine_require(self->engine, "main", error);
}

// --- Drawing ---------------------------------------------------------------

// The character of UTF-8 text; the canvas has none of more than three bytes.
static unsigned character(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  if (s[0] < 0x80) return s[0];
  if (s[0] < 0xe0) return (s[0] & 31u) << 6 | (s[1] & 63u);
  return (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);
}

static void fill(SDL_Surface *surface, const SDL_Rect *rect, int rgb) {
  SDL_FillRect(surface, rect,
               SDL_MapRGB(surface->format, (Uint8)(rgb >> 16),
                          (Uint8)(rgb >> 8), (Uint8)rgb));
}

// Braille has 2 by 4 dots; bit by bit, where each is.
static void draw_dots(SDL_Surface *surface, const SDL_Rect *cell, unsigned bits,
                      int rgb) {
  static const unsigned char column[8] = {0, 0, 0, 1, 1, 1, 0, 1};
  static const unsigned char row[8] = {0, 1, 2, 0, 1, 2, 3, 3};
  for (int i = 0; i < 8; i++) {
    if ((bits >> i & 1) == 0) continue;
    SDL_Rect dot = {cell->x + column[i] * DOT, cell->y + row[i] * DOT, DOT - 1,
                    DOT - 1};
    fill(surface, &dot, rgb);
  }
}

// Text has no shapes here: the title of the window shows it.
static void draw_cell(const Canvas *canvas, SDL_Surface *surface, int cell,
                      int columns) {
  typedef const char *Glyph(int cell);
  unsigned code = character(((Glyph *)GRAFT_LOAD(canvas->glyph))(cell));
  SDL_Rect place = {cell % columns * CELL_WIDTH, cell / columns * CELL_HEIGHT,
                    CELL_WIDTH, CELL_HEIGHT};
  fill(surface, &place, ask(canvas->paper, cell));
  if (code == UPPER_HALF) {
    place.h /= 2;
    fill(surface, &place, ask(canvas->ink, cell));
  } else if (code >= BRAILLE && code < BRAILLE + 256) {
    draw_dots(surface, &place, code - BRAILLE, ask(canvas->ink, cell));
  }
}

// Only what has changed since the last picture.
static void draw(const Canvas *canvas) {
  SDL_Surface *surface = SDL_GetWindowSurface(window);
  int columns = ((int (*)(void))GRAFT_LOAD(canvas->columns))();
  if (surface == NULL || columns < 1) return;
  for (int cell = ask(canvas->next, -1); cell >= 0;
       cell = ask(canvas->next, cell)) {
    draw_cell(canvas, surface, cell, columns);
  }
  SDL_UpdateWindowSurface(window);
}

// --- The loop --------------------------------------------------------------

// Whether the game goes on. SDL makes a quit event of Ctrl-C, too.
static bool take_events(const Canvas *canvas) {
  SDL_Event event;
  while (SDL_PollEvent(&event)) {
    if (event.type == SDL_QUIT) return false;
    if (event.type == SDL_KEYDOWN && event.key.keysym.sym == SDLK_ESCAPE) {
      return false;
    }
    // The surface of the window may be another now, with nothing on it.
    if (event.type == SDL_WINDOWEVENT) GRAFT_LOAD(canvas->forget)();
  }
  return true;
}

static void run(Game *self) {
  self->update = graft_engine_fn(self->engine, "main.update");
  self->title = graft_engine_fn(self->engine, "screen.title");
  call(self, "main.init");
  Uint32 last = SDL_GetTicks();
  for (int frame = 0; take_events(&self->canvas); frame++) {
    graft_engine_update(self->engine, NULL); // saved files take effect here
    Uint32 time = SDL_GetTicks();
    call_update(self, (time - last) / 1000.0);
    last = time;
    draw(&self->canvas);
    if (frame % 30 == 0) show_title(self);
    Uint32 spent = SDL_GetTicks() - time;
    if (spent < FRAME_MS) graft_engine_wait(self->engine, FRAME_MS - spent);
  }
  call(self, "main.quit");
}

static bool open_window(void) {
  if (SDL_Init(SDL_INIT_VIDEO) == 0) {
    window = SDL_CreateWindow("Graft", SDL_WINDOWPOS_CENTERED,
                              SDL_WINDOWPOS_CENTERED, 960, 640,
                              SDL_WINDOW_RESIZABLE);
  }
  if (window == NULL) fprintf(stderr, "SDL: %s\n", SDL_GetError());
  return window != NULL;
}

int main(int argc, char **argv) {
  (void)argc, (void)argv; // SDL wants them
  Game game = {0};
  GraftError error;
  if (!open_window()) return 1;
  int result = 1;
  if (graft_engine_open(&(GraftEngineDesc){.on_event = on_event}, &game.engine,
                        &error) == GRAFT_OK &&
      start(&game, &error) == GRAFT_OK) {
    run(&game);
    result = 0;
  } else {
    fprintf(stderr, "%s:%d: %s\n", error.file, error.line, error.message);
  }
  graft_engine_close(game.engine);
  SDL_DestroyWindow(window);
  SDL_Quit();
  return result;
}
