import { createAdminClient } from '@/lib/supabase'

export default async function Page() {
  const { data } = await createAdminClient()
    .from('customers')
    .select('id, first_name, last_name, loyalty_points')
    .order('loyalty_points', { ascending: false })
  return (
    <ol>
      {(data ?? []).map((customer) => (
        <li key={customer.id}>{customer.first_name}: {customer.loyalty_points} points</li>
      ))}
    </ol>
  )
}
