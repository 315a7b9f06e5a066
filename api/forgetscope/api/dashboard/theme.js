// Before the first paint: the reader's own choice of light or dark, if there is one.
try {
  const chosen = localStorage.getItem("forgetscope.theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Storage can be forbidden; the system's choice holds then.
}
