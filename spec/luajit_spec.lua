-- SPDX-License-Identifier: MIT

require("spec.support.vms").run "luajit"
