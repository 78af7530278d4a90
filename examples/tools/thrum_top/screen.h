/* screen.h: what thrum_top shows of two snapshots.
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TOP_SCREEN_H
#define THRUM_TOP_SCREEN_H

struct screen {
  int width, height; /* 0: as much as there is */
  int colours;       /* else the heat map is drawn in letters */
  const char* kind;  /* whose heat map; NULL: of all */
};

/* Writes to stdout what happened between two snapshots, `before` being the older. */
void screen_draw(const struct screen* s, const char* before, const char* now);

#endif
