export default function Page() {
  return <h1>The Lantern Arms: book a table</h1>
}
