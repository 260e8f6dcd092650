#!/usr/bin/env node
// Reads the command word and hands over; nothing else.
export {}
