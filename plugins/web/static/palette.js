// The command palette and the keys of every page.
"use strict";
