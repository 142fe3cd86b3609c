import { notFound } from 'next/navigation'
import { pendingBooking } from '@/lib/pending'

export default async function Page({ params }: { params: Promise<{ token: string }> }) {
  const { token } = await params
  const pending = await pendingBooking(token)
  if (!pending) notFound()
  return <h1>Confirm your booking</h1>
}
