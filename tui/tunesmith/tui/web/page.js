// Keys reach the wizard at once: its terminal gets the focus when the first picture comes, as only then the wizard is
// there to be told so, and again when one comes back to the tab.
const focusTerminal = () => {
  const terminal = document.querySelector(".xterm-helper-textarea");
  terminal?.blur();
  terminal?.focus();
};
addEventListener("focus", focusTerminal);
addEventListener("load", () => {
  const watch = new MutationObserver(() => {
    if (document.body.classList.contains("-first-byte")) {
      watch.disconnect();
      focusTerminal();
    }
  });
  watch.observe(document.body, { attributeFilter: ["class"] });
});
