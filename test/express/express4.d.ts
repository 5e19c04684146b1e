/** Express 4 under another name; its types are near enough to those of 5 for these tests. */
declare module 'express4' {
  import express from 'express'
  export default express
}
